# The process that serves one application: rings, replies, order, sandbox. The APIs plug in as struct xg_replay.
$(call archive,worker,$(addprefix backend/worker/,main.c exec.c ring.c hold.c reply.c core.c map.c sandbox.c syscalls.c files.c report.c text.c memory.c))
