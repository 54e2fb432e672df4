# The scheduler: its side in the daemon, and the client in each worker.
$(call archive,sched,backend/sched/sched.c backend/sched/core.c backend/sched/policy.c backend/sched/check.c backend/sched/client.c)
