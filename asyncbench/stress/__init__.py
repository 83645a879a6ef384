"""`asyncbench stress`: scripted, seeded trouble for real sweeps. Does what is promised about memory and death hold?"""
