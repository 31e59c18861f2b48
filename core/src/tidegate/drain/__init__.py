"""How a pod lets go of its streams: its life, its slots, and whose plan is in force.

`life` is the table of states, `window` the time between preStop and the deadline, `slots` the
schedule of single departures, `returns` the `retry:` that each is given, `orders` the operator's
plan with its validity, `decision` the answer, and `drain` puts them together: a shell reports
events and asks what is due.
"""
