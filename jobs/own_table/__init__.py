"""Commands for anybody's own table: a scorecard, connected components."""
