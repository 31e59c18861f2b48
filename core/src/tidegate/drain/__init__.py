"""How a pod lets go of its streams: its life, its slots, and whose plan is in force.

`life` is the table of states, `slots` the schedule of single departures, `returns` what `retry:`
they are given, `orders` the operator's plan with its validity, `decision` the answer, and `drain`
puts them together: a shell reports what happened and asks what is due.
"""
