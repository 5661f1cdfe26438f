/* Reads the command line by one table. Not getopt_long: it accepts
 * abbreviations, which a later option can make ambiguous, and it keeps its
 * place in globals. */
#include "options.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "event/trace.h"

#define TRACE_BYTES_MOST 1048576

struct rule {
    char letter;       /* '\0': it has only a long name */
    const char *name;  /* NULL: it has only a letter */
    const char *value; /* what it expects, for people; NULL: nothing */
    bool optional;     /* a value may follow an '=', and only that */
    bool (*apply)(struct options *, const char *value);
};

static bool add_action(struct options *options, bool module, const char *text)
{
    options->actions[options->action_count++] =
        (struct option_action){.module = module, .text = text};
    return true;
}

static bool apply_chunk(struct options *options, const char *text)
{
    return add_action(options, false, text);
}

static bool apply_module(struct options *options, const char *text)
{
    return add_action(options, true, text);
}

static bool apply_interactive(struct options *options, const char *value)
{
    (void) value;
    return options->interactive = true;
}

static bool apply_version(struct options *options, const char *value)
{
    (void) value;
    return options->version = true;
}

static bool apply_help(struct options *options, const char *value)
{
    (void) value;
    return options->help = true;
}

static bool apply_test(struct options *options, const char *value)
{
    (void) value;
    return options->test = true;
}

static bool apply_grace(struct options *options, const char *value)
{
    char *end;
    options->grace = strtod(value, &end);
    return end != value && *end == '\0' && isfinite(options->grace) &&
           options->grace >= 0;
}

/* Optional, so that weir --trace script.lua writes over no script. */
static bool apply_trace(struct options *options, const char *value)
{
    options->trace = true;
    options->trace_file = value;
    return !value || *value;
}

static bool apply_trace_bytes(struct options *options, const char *value)
{
    char *end;
    options->trace_bytes = strtoul(value, &end, 10);
    return isdigit((unsigned char) *value) && *end == '\0' &&
           options->trace_bytes <= TRACE_BYTES_MOST;
}

static const struct rule rules[] = {
    {'e', NULL, "a chunk of Lua", false, apply_chunk},
    {'l', NULL, "a module's name", false, apply_module},
    {'i', NULL, NULL, false, apply_interactive},
    {'v', "version", NULL, false, apply_version},
    {'h', "help", NULL, false, apply_help},
    {'\0', "test", NULL, false, apply_test},
    {'\0', "grace", "seconds", false, apply_grace},
    {'\0', "trace", "a file's name", true, apply_trace},
    {'\0', "trace-bytes", "a number up to 1048576", false, apply_trace_bytes},
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static const struct rule *find_letter(char letter)
{
    for (const struct rule *rule = rules; rule < rules + RULE_COUNT; rule++)
        if (letter != '\0' && rule->letter == letter)
            return rule;
    return NULL;
}

static const struct rule *find_name(const char *name, size_t length)
{
    for (const struct rule *rule = rules; rule < rules + RULE_COUNT; rule++)
        if (rule->name && strlen(rule->name) == length &&
            memcmp(rule->name, name, length) == 0)
            return rule;
    return NULL;
}

/* `value`: what follows in the same argument, or NULL. */
static char *apply(struct options *options, const struct rule *rule,
                   const char *shown, const char *value, int *index)
{
    bool needed = rule->value && !rule->optional;
    if (needed && !value && *index + 1 < options->argc)
        value = options->argv[++*index];
    if (needed && !value)
        return memory_format("option '%s' expects %s", shown, rule->value);
    if (!rule->apply(options, value))
        return memory_format("option '%s' expects %s, not '%s'", shown,
                             rule->value, value);
    return NULL;
}

static char *parse_long(struct options *options, int *index)
{
    const char *argument = options->argv[*index];
    size_t length = strcspn(argument, "=");
    const char *value = argument[length] ? argument + length + 1 : NULL;
    char shown[64];
    snprintf(shown, sizeof shown, "%.*s", (int) length, argument);
    const struct rule *rule = find_name(argument + 2, length - 2);
    if (!rule)
        return memory_format("unknown option '%s'", shown);
    if (value && !rule->value)
        return memory_format("option '%s' takes no value", shown);
    return apply(options, rule, shown, value, index);
}

/* "-e CHUNK", "-eCHUNK", or several letters that expect nothing. */
static char *parse_letters(struct options *options, int *index)
{
    for (const char *at = options->argv[*index] + 1; *at; at++) {
        char shown[] = {'-', *at, '\0'};
        const struct rule *rule = find_letter(*at);
        if (!rule)
            return memory_format("unknown option '%s'", shown);
        const char *rest = rule->value && at[1] ? at + 1 : NULL;
        char *wrong = apply(options, rule, shown, rest, index);
        if (wrong || rule->value)
            return wrong;
    }
    return NULL;
}

/* Returns at the script, or behind --test, which takes all the rest. */
static char *parse_options(struct options *options, int *index)
{
    for (; *index < options->argc && !options->test; ++*index) {
        const char *argument = options->argv[*index];
        if (argument[0] != '-' || argument[1] == '\0')
            return NULL;
        if (strcmp(argument, "--") == 0) {
            ++*index;
            return NULL;
        }
        char *wrong = argument[1] == '-' ? parse_long(options, index)
                                         : parse_letters(options, index);
        if (wrong)
            return wrong;
    }
    return NULL;
}

static bool has_chunk(const struct options *options)
{
    for (int i = 0; i < options->action_count; i++)
        if (!options->actions[i].module)
            return true;
    return false;
}

char *options_parse(struct options *options, int argc, char **argv,
                    bool terminal)
{
    *options = (struct options){
        .argc = argc, .argv = argv, .grace = 10, .trace_bytes = TRACE_BYTES};
    options->actions =
        memory_new(((size_t) argc + 1) * sizeof *options->actions);
    int index = 1;
    char *wrong = parse_options(options, &index);
    if (wrong)
        return wrong;
    if (options->test) {
        options->first = index - 1;
        if (options->interactive)
            return memory_format("options '-i' and '--test' exclude "
                                 "each other");
    } else if (index < argc) {
        options->first = index;
        options->script = argv[index];
    } else if (!options->interactive && !has_chunk(options)) {
        options->interactive = terminal;
        options->script = terminal ? NULL : "-";
    }
    return NULL;
}

void options_free(struct options *options)
{
    free(options->actions);
    options->actions = NULL;
}

void options_help(FILE *file)
{
    fputs("usage: weir [options] [script.lua [arguments...]]\n"
          "\n"
          "Runs a Lua script inside a network host. Without a script: a REPL "
          "on a terminal,\n"
          "else the script is read from standard input.\n"
          "\n"
          "  -e CHUNK           run CHUNK first (may be given several times)\n"
          "  -l MODULE          require MODULE first, as the global MODULE\n"
          "  -i                 REPL, after the script if there is one\n"
          "  -                  the script is standard input\n"
          "  --grace SECONDS    what SIGTERM leaves to connections at work "
          "(default 10)\n"
          "  --trace[=FILE]     write what goes over the wire to FILE, or to "
          "standard error\n"
          "  --trace-bytes N    how much it shows of each piece of data "
          "(default 512)\n"
          "  --test [ARGS...]   run busted; ARGS are its own (see weir --test "
          "--help)\n"
          "  -v, --version      print the version\n"
          "  -h, --help         print this\n"
          "  --                 end of weir's options\n"
          "\n"
          "  weir -e 'print(weir.connect(\"tls://example.com:443\"))'\n"
          "  printf 'print(weir.version)' | weir\n"
          "\n"
          "man weir says more; the README and doc/reference say what scripts "
          "can do.\n",
          file);
}
