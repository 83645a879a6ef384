"""`asyncbench stress`: scripted, seeded trouble for real sweeps, to test the promises about memory and death."""
