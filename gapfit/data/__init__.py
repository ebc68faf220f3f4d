"""Data: files, labels, frames, neighbours, isolated-atom energies and sigmas."""
