"""How a pod lets go of its streams: its life, its slots, and who may decide about them.

`life` is the table of states, `slots` the schedule of single departures, `returns` what `retry:`
they are given, `orders` the operator's plan with its validity, `policy` the words in and out, and
`drain` puts them together: a shell tells it what happened and asks it what is due.
"""
