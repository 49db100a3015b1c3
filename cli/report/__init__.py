"""The report: one HTML file that opens offline and says what each step of refining is worth."""
