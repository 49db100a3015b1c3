"""What a document is, where documents lie, and how functions run over them."""
