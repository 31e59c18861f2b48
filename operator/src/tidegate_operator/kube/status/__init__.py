"""The status of DrainPolicies.

writer      watches, advises, and writes a status when it has changed
document    a status: conditions, counts and advice
announcing  the Events and words of a healthy rollout
rollouts    the scorecard of each workload's last rollout, from reports alone
"""
