# What the generator makes of the description, in gen/wsi: opcodes and structures for both sides, the guest's senders, the worker's decoder, and
# tables for tests.
WSI_API := protocol/wsi/wsi.api protocol/wsi/wsi.lock protocol/gen/wsi.py protocol/gen/ops.py protocol/gen/wire.py
WSI_GEN = $(Q)mkdir -p $(@D) && $(PYTHON) protocol/gen/wsi.py --api protocol/wsi/wsi.api --lock protocol/wsi/wsi.lock $(basename $(@F)) >$@.new && mv $@.new $@
WSI_GENERATED := $(addprefix $(BUILD)/gen/wsi/,ops.h send.h handlers.h dispatch.c shapes.h names.h)

$(WSI_GENERATED): $(WSI_API)
	$(call say,GEN,$@)
	$(WSI_GEN)
