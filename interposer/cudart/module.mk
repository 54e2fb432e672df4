# libcudart.so.12 and libcudart.so.13: one set of sources, compiled once for each.

CUDART_DIR  := interposer/cudart
CUDART_GEN  := $(BUILD)/gen/cudart
CUDART_SRCS := array copy copy3d device driver error fill func graph launch link memory registry state

CUDART_MADE := api_12.h api_13.h forward_12.c forward_13.c cudart_12.map cudart_13.map \
               names_12.txt names_13.txt unsupported.txt

$(addprefix $(CUDART_GEN)/,$(CUDART_MADE)) &: $(CUDART_DIR)/gen.py $(CUDART_DIR)/api.list \
		cuda/abi/func_table.h $(wildcard protocol/gen/*.py)
	$(call say,GEN,$(CUDART_GEN))
	$(Q)$(PYTHON) $(CUDART_DIR)/gen.py $(CUDART_GEN) $(CUDART_DIR)/api.list cuda/abi/func_table.h

# A line that sets the version, and the source or what was generated for it.
$(CUDART_GEN)/12/%.c: | $(CUDART_GEN)/api_12.h
	@mkdir -p $(@D)
	$(Q)printf '#define RT_VERSION 12\n#include "$(CUDART_DIR)/$*.c"\n' > $@
$(CUDART_GEN)/13/%.c: | $(CUDART_GEN)/api_13.h
	@mkdir -p $(@D)
	$(Q)printf '#define RT_VERSION 13\n#include "$(CUDART_DIR)/$*.c"\n' > $@
$(CUDART_GEN)/12/forward.c: $(CUDART_GEN)/forward_12.c
	@mkdir -p $(@D)
	$(Q)printf '#define RT_VERSION 12\n#include "cudart/forward_12.c"\n' > $@
$(CUDART_GEN)/13/forward.c: $(CUDART_GEN)/forward_13.c
	@mkdir -p $(@D)
	$(Q)printf '#define RT_VERSION 13\n#include "cudart/forward_13.c"\n' > $@

# nodelete: a plug-in that goes takes neither the symbols' memory nor the retained contexts with it.
CUDART_LD_12 := -Wl,-z,nodelete -Wl,-soname,libcudart.so.12 -Wl,--version-script=$(CUDART_GEN)/cudart_12.map
CUDART_LD_13 := -Wl,-z,nodelete -Wl,-soname,libcudart.so.13 -Wl,--version-script=$(CUDART_GEN)/cudart_13.map
CUDART_C_12  := $(patsubst %,$(CUDART_GEN)/12/%.c,$(CUDART_SRCS) forward)
CUDART_C_13  := $(patsubst %,$(CUDART_GEN)/13/%.c,$(CUDART_SRCS) forward)

$(call shared,lib/libcudart.so.12,$(CUDART_C_12),-ldl,$(CUDART_LD_12))
$(call shared,lib/libcudart.so.13,$(CUDART_C_13),-ldl,$(CUDART_LD_13))

# The unit tests see the library from inside, generated headers too.
$(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/unit/test_cudart_*.c)): | $(CUDART_GEN)/api_12.h
