"""One lock that many CPUs share: exact queueing, a simulation as its twin, and its costs."""
