"""Relationship network: tables to vertices and edges, and back to tables."""
