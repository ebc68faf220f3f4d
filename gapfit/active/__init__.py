"""Active learning: choose what to label next, and learn during a simulation."""
