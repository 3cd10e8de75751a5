/* The control port: one command a line, one line of answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sink.h"

static void control_accepted(struct stream *fresh, void *sink)
{
    fresh->owner = sink;
}

static void write_map(struct buffer *out, const struct tally *t, const char *path, uint64_t count)
{
    bool written = tally_write(t, path, count);
    buffer_print(out, written ? "ok\n" : "error: %s was not written\n", path);
}

static void obey(struct sink *sink, char *line, struct buffer *out)
{
    char name[1024];
    int64_t value;
    uint64_t count;
    int64_t *setting;
    if (!strcmp(line, "stats")) {
        sink_statistics(sink, out);
    } else if (!strcmp(line, "reset")) {
        sink_reset(sink);
        buffer_print(out, "ok\n");
    } else if (!strcmp(line, "quit")) {
        sink->loop.stopping = true;
        buffer_print(out, "ok\n");
    } else if (sscanf(line, "set %1023s %" SCNd64, name, &value) == 2 &&
               (setting = sink_setting(sink, name))) {
        *setting = value;
        buffer_print(out, "ok\n");
    } else if (sscanf(line, "map %1023s %" SCNu64, name, &count) == 2) {
        write_map(out, &sink->arrivals, name, count);
    } else if (sscanf(line, "cbmap %1023s %" SCNu64, name, &count) == 2) {
        write_map(out, &sink->callbacks, name, count);
    } else {
        buffer_print(out, "error: stats | reset | set NAME VALUE | map FILE N | cbmap FILE N | quit\n");
    }
}

static void control_received(struct stream *s)
{
    uint8_t *end;
    while (buffer_size(&s->in) && (end = memchr(buffer_head(&s->in), '\n', buffer_size(&s->in)))) {
        char *line = (char *)buffer_head(&s->in);
        size_t length = (size_t)(end - (uint8_t *)line);
        line[length && line[length - 1] == '\r' ? length - 1 : length] = 0;
        obey(s->owner, line, &s->out);
        buffer_take(&s->in, length + 1);
    }
    stream_touch(s);
}

const struct stream_events sink_control_events = {.accepted = control_accepted,
                                                  .received = control_received};
