# The frame codec and what goes with it; both sides link it.
$(call archive,protocol,protocol/codec.c protocol/table.c protocol/event.c protocol/fdpass.c protocol/log.c)
