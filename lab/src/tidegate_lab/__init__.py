"""The lab: a whole fleet on one machine, on real sockets or in virtual time."""
