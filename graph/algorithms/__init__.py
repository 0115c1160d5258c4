"""The calls on any graph: components, ranks, cores, triangles, clustering, distances; exact, on whole components."""
