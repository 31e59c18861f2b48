"""From the cluster's objects to the planner's `Snapshot`.

build          puts workloads into scopes, each with its policy's rules
index          pods to their workloads, and workloads for the planner
policies       DrainPolicy objects: their rules, and the pods they select
steerable      whether a stream Service can be steered, and why not
service_peers  workloads behind the same stream Service
uninjected     workloads that a policy selects and that have no sidecar
keys           the key of a workload: namespace, kind and name
"""
