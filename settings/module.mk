# What people write, read and judged: used by the daemon, the agent and the command.
$(call archive,settings,settings/value.c settings/keys.c)
