"""A workload of local pods: processes that start, get ready, drain and end as pods do."""
