# The PTX engine. The handlers are compiled once per instruction set; ops.c chooses when it starts. Under
# sanitizers only for the base: the sources are the same, and each build of them takes minutes.
SCPTX := $(addprefix softcuda/ptx/, symtab.c lex.c parse.c parse_body.c lower.c lower_alu.c \
    lower_cmp.c lower_cvt.c lower_mem.c lower_sync.c lower_ctl.c regalloc.c fuse.c link.c module.c \
    ops.c warps.c builtin.c launch.c exec_base.c exec_v3.c exec_v4.c)
$(call archive,scptx,$(SCPTX) softcuda/gate.c)

SCPTX_EXEC := -ffp-contract=off -fno-math-errno -fno-trapping-math -Wno-psabi -Wno-type-limits \
    -Wno-pass-failed
SCPTX_MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
SCPTX_OBJ := $(BUILD)/obj/softcuda/ptx
ifneq ($(SAN),)
$(SCPTX_OBJ)/exec_%.o: CFLAGS += -O1 $(SCPTX_EXEC)
$(SCPTX_OBJ)/ops.o: CPPFLAGS += -DSC_BASE_ONLY
else
$(SCPTX_OBJ)/exec_%.o: CFLAGS += -O3 $(SCPTX_EXEC)
ifneq ($(filter x86_64%,$(SCPTX_MACHINE)),)
$(SCPTX_OBJ)/exec_v3.o: CFLAGS += -march=x86-64-v3 -mno-vzeroupper
$(SCPTX_OBJ)/exec_v4.o: CFLAGS += -march=x86-64-v4 -mprefer-vector-width=512 -mno-vzeroupper
endif
endif
