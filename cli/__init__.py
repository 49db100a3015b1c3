"""The command line, the pipeline, recipes and the report."""
