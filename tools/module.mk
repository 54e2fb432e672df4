# The `xengpu` command.
$(call program,bin/xengpu,$(addprefix tools/,main.c client.c table.c run.c list.c guest.c reload.c domain.c top.c check.c try.c) backend/platform/nodes.c,\
    obj/libsettings.a obj/libfrontend.a obj/libprotocol.a -ljansson -lxenstore -ldl)
$(call objs,tools/try.c): | $(BUILD)/gen/wsi/ops.h $(BUILD)/gen/wsi/send.h
