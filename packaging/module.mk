# make install: everything lies together in $(LIBDIR)/xengpu, as it does in the build, because programs find their libraries beside
# themselves, and because a libcuda.so.1 in $(LIBDIR) itself would be found by programs that did not ask for it.
.PHONY: install uninstall
HOUSE = $(DESTDIR)$(LIBDIR)/xengpu
install: all
	$(call say,INSTALL,$(HOUSE))
	$(Q)sh packaging/install.sh '$(BUILD)' '$(HOUSE)' '$(DESTDIR)$(PREFIX)' '$(LIBDIR)/xengpu' '$(PREFIX)'
uninstall:
	$(Q)rm -rf '$(HOUSE)' '$(DESTDIR)$(PREFIX)/share/doc/xengpu'
	$(Q)for p in xengpud xengpu xengpu-agent; do rm -f "$(DESTDIR)$(PREFIX)/bin/$$p" \
	    "$(DESTDIR)$(PREFIX)/lib/systemd/system/$$p.service" "$(DESTDIR)$(PREFIX)/lib/modules-load.d/$$p.conf"; done
