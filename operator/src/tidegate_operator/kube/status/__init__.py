"""The status of DrainPolicies.

writer    watches, advises, and writes a status when it has changed
document  a status: conditions, counts and advice
rollouts  the scorecard of each workload's last rollout, from reports alone
"""
