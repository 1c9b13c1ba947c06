/* One YAML document and what may stand in it: mappings read through tables of keys, scalars of a
 * wanted type, values as JSON. Every complaint names file, line and key. It knows nothing of what
 * the keys mean. One thread. */
#ifndef PROGRAMS_YAML_FILE_H
#define PROGRAMS_YAML_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

#include "base/buffer.h"
#include "programs/failure.h"

enum {
    YAML_FILE_MAX = 1024 * 1024, /* bytes; a configuration of this size is a mistake */
    YAML_KEYS_MAX = 1000,        /* of one mapping: keeps the search for repeated ones short */
    YAML_JSON_MAX = 256 * 1024,  /* of one converted value: aliases could multiply it */
    YAML_DEPTH_MAX = 50,
};

struct yaml_file {
    char *path;
    char *folder; /* of the file, to resolve relative paths against; never empty */
    yaml_document_t document;
    const yaml_node_t *key; /* the one whose value is being read */
    struct failure *failure;
};

/* What goes behind the complaint that there is no such file, or that it is empty. */
struct yaml_advice {
    const char *missing; /* where its name may have come from */
    const char *empty;   /* what to write into it */
};

/* Reads the whole file. On failure nothing needs closing. Borrows `f` until close. */
bool yaml_file_open(struct yaml_file *y, const char *path, const struct yaml_advice *advice,
                    struct failure *f);
void yaml_file_close(struct yaml_file *y);
yaml_node_t *yaml_file_root(struct yaml_file *y);

/* Always false; the text is put behind "file:line: ". */
bool yaml_complain(struct yaml_file *y, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Returns owned: "file:line". */
char *yaml_where(const struct yaml_file *y, const yaml_node_t *node);

struct yaml_key {
    const char *name;
    bool (*read)(struct yaml_file *y, const char *key, yaml_node_t *value, void *target);
};

/* Calls the reader of each key. An unknown key, a repeated one, and a node that is no mapping are
 * failures; `what` names the mapping in them ("an endpoint"). */
bool yaml_read_mapping(struct yaml_file *y, yaml_node_t *node, const char *what,
                       const struct yaml_key *keys, size_t key_count, void *target);
/* Calls `read` for each member of a mapping with free keys. */
bool yaml_each_member(struct yaml_file *y, yaml_node_t *node, const char *what,
                      bool (*read)(struct yaml_file *y, const char *key, yaml_node_t *value,
                                   void *target),
                      void *target);
/* Calls `read` for each item of a list; the key handed on is that of the list. */
bool yaml_each_item(struct yaml_file *y, const char *key, yaml_node_t *node,
                    bool (*read)(struct yaml_file *y, const char *key, yaml_node_t *value,
                                 void *target),
                    void *target);

/* Borrowed from the document. NULL, after a complaint, when the node is no scalar or is empty. */
const char *yaml_read_text(struct yaml_file *y, const char *key, const yaml_node_t *node);
bool yaml_read_whole(struct yaml_file *y, const char *key, const yaml_node_t *node,
                     uint64_t minimum, uint64_t maximum, uint64_t *out);
/* One of the names; its index. */
bool yaml_read_choice(struct yaml_file *y, const char *key, const yaml_node_t *node,
                      const char *const *names, size_t count, size_t *out_index);
/* Appends the value as JSON; plain scalars are null, booleans, numbers or else strings. */
bool yaml_read_json(struct yaml_file *y, const char *key, yaml_node_t *node, struct buffer *out);

#endif
