"""Model cards as Markdown."""
