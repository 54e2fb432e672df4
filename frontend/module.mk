# The guest's side of a channel, as the interposers use it. Linked whole into libxengpu.so, which exports it.
$(call archive,frontend,frontend/channel.c frontend/ring.c frontend/wait.c frontend/arena.c frontend/stage.c frontend/stats.c)
