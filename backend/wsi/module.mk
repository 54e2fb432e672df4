# The window-system half of OpenGL replay; linked into the daemon with obj/libglreplay.a.
$(call archive,wsireplay,$(wildcard backend/wsi/*.c))
