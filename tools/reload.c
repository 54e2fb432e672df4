/* xengpu reload: the daemon reads its configuration again. */
#include "tools/tool.h"

#include <stdio.h>

static int reload_run(struct xg_tool *t, int argc, char **argv)
{
    size_t i;
    json_t *change;
    if (tool_options(t, &xg_command_reload, argc, argv, NULL, NULL) > 0) {
        tool_error("reload: takes no arguments; see 'xengpu reload --help'");
        return 2;
    }
    json_t *j = daemon_ask(t, json_pack("{s:s}", "cmd", "reload"));
    if (!j) {
        tool_error("nothing was changed");
        return 1;
    }
    json_t *changes = json_object_get(j, "changes");
    if (t->json) {
        answer_print(j);
    } else {
        printf("%s was read%s\n", answer_text(j, "file"),
               json_array_size(changes) ? "" : "; nothing has changed");
        json_array_foreach(changes, i, change)
        {
            printf("%s: takes effect %s\n", answer_text(change, "what"),
                   answer_text(change, "applies"));
        }
    }
    json_decref(j);
    return 0;
}

const struct xg_command xg_command_reload = {
    .name = "reload",
    .arguments = "[--json]",
    .summary = "lets the daemon read its configuration file again; guests go on",
    .help = "\n"
            "A file with an error in it changes nothing, and the errors are printed. What cannot "
            "change while the daemon\n"
            "runs is named. What 'xengpu set' or 'xengpu attach' gave a guest stays.\n"
            "\n"
            "  --json            as JSON: the file, and for each change what it is and when it "
            "applies\n",
    .run = reload_run,
    .json = true,
};
