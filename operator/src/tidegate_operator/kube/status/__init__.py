"""The status of DrainPolicies.

writer    conditions, counts and advice, written when they change
rollouts  the scorecard of each workload's last rollout, from reports alone
"""
