/* xtext X Y WIDTH HEIGHT <TEXT: shows lines in a window, in the fixed font that every X server has,
 * until it is killed. */
/* pkg: x11 */
#include <X11/Xlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char lines[64][256];
    int n = 0;
    Display *d = XOpenDisplay(NULL);

    if (argc != 5 || d == NULL) {
        fprintf(stderr,
                argc != 5 ? "usage: xtext X Y WIDTH HEIGHT <TEXT\n" : "xtext: no display\n");
        return 2;
    }
    while (n < 64 && fgets(lines[n], sizeof(lines[n]), stdin))
        lines[n][strcspn(lines[n], "\n")] = 0, n++;
    XFontStruct *font = XLoadQueryFont(d, "fixed");
    if (font == NULL) {
        fprintf(stderr, "xtext: the X server has no font 'fixed'\n");
        return 1;
    }
    XSetWindowAttributes a = {
        .override_redirect = True, .background_pixel = 0x202028, .event_mask = ExposureMask};
    Window w = XCreateWindow(d, DefaultRootWindow(d), atoi(argv[1]), atoi(argv[2]),
                             (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]), 0, CopyFromParent,
                             InputOutput, CopyFromParent,
                             CWOverrideRedirect | CWBackPixel | CWEventMask, &a);
    GC gc = XCreateGC(d, w, GCForeground | GCFont,
                      &(XGCValues){.foreground = 0xe0e0d8, .font = font->fid});
    XMapRaised(d, w);
    for (XEvent e;;) {
        XNextEvent(d, &e);
        for (int i = 0; i < n; i++)
            XDrawString(d, w, gc, 8, 6 + (i + 1) * (font->ascent + font->descent + 1), lines[i],
                        (int)strlen(lines[i]));
        XFlush(d);
    }
}
