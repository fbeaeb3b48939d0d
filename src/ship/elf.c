/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/elf.h"

#include <elf.h>

/* A file being read: what has been found of its tables. */
struct reading {
    struct gal_str bytes;
    struct gal_arena *arena;
    struct gal_err *err;
    Elf64_Ehdr head;
    Elf64_Phdr interp, dynamic;     /* p_type PT_NULL: none */
    uint64_t strings, strings_size; /* place in the file */
};

static const struct {
    unsigned machine;
    const char *architecture;
} machines[] = {
    {EM_X86_64, "amd64"},  {EM_AARCH64, "arm64"},     {EM_RISCV, "riscv64"},
    {EM_PPC64, "ppc64le"}, {EM_LOONGARCH, "loong64"},
};

const char *gal_elf_architecture(const struct gal_elf *e)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        if (machines[i].machine == e->machine)
            return machines[i].architecture;
    }
    return NULL;
}

unsigned gal_elf_machine(struct gal_str architecture)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        if (gal_str_is(architecture, machines[i].architecture))
            return machines[i].machine;
    }
    return 0;
}

bool gal_elf_is(struct gal_str bytes)
{
    return bytes.n >= SELFMAG && memcmp(bytes.p, ELFMAG, SELFMAG) == 0;
}

static enum gal_status damaged(struct reading *r, const char *what)
{
    return gal_fail(r->err, GAL_INVALID, "damaged ELF file: %s", what);
}

/* Copies a structure, as nothing says that it is aligned. */
static bool take(struct gal_str bytes, uint64_t offset, void *out, size_t size)
{
    if (offset > bytes.n || size > bytes.n - offset)
        return false;
    memcpy(out, bytes.p + offset, size);
    return true;
}

static enum gal_status read_head(struct reading *r)
{
    if (!gal_elf_is(r->bytes) || !take(r->bytes, 0, &r->head, sizeof r->head))
        return gal_fail(r->err, GAL_INVALID, "not an ELF file");
    if (r->head.e_ident[EI_CLASS] != ELFCLASS64 || r->head.e_ident[EI_DATA] != ELFDATA2LSB)
        return gal_fail(r->err, GAL_UNSUPPORTED, "not a 64-bit little-endian ELF file");
    if (r->head.e_phentsize != sizeof(Elf64_Phdr) && r->head.e_phnum != 0)
        return damaged(r, "size of its program headers");
    return GAL_OK;
}

static bool take_segment(const struct reading *r, unsigned i, Elf64_Phdr *out)
{
    uint64_t at = (uint64_t)i * sizeof *out;
    return r->head.e_phoff <= r->bytes.n && take(r->bytes, r->head.e_phoff + at, out, sizeof *out);
}

/* Place in the file of what is loaded at an address. */
static bool place_of(const struct reading *r, uint64_t address, uint64_t *offset)
{
    Elf64_Phdr p;
    for (unsigned i = 0; i < r->head.e_phnum; i++) {
        if (!take_segment(r, i, &p))
            return false;
        if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz &&
            p.p_offset <= r->bytes.n) {
            *offset = p.p_offset + (address - p.p_vaddr);
            return *offset < r->bytes.n;
        }
    }
    return false;
}

static enum gal_status find_segments(struct reading *r)
{
    Elf64_Phdr p;
    for (unsigned i = 0; i < r->head.e_phnum; i++) {
        if (!take_segment(r, i, &p))
            return damaged(r, "program headers beyond its end");
        if (p.p_type == PT_INTERP)
            r->interp = p;
        if (p.p_type == PT_DYNAMIC)
            r->dynamic = p;
        if (p.p_type == PT_LOAD &&
            (p.p_offset > r->bytes.n || p.p_filesz > r->bytes.n - p.p_offset))
            return damaged(r, "a segment beyond its end");
    }
    return GAL_OK;
}

static enum gal_status string_at(struct reading *r, uint64_t index, struct gal_str *out)
{
    const char *p, *end;
    if (index >= r->strings_size)
        return damaged(r, "a name beyond its table");
    p = r->bytes.p + r->strings + index;
    end = memchr(p, '\0', r->strings_size - index);
    if (!end)
        return damaged(r, "a name without end");
    *out = (struct gal_str){p, (size_t)(end - p)};
    return GAL_OK;
}

static enum gal_status read_interpreter(struct reading *r, struct gal_elf *out)
{
    const Elf64_Phdr *p = &r->interp;
    const char *end;
    if (p->p_type != PT_INTERP)
        return GAL_OK;
    if (p->p_offset > r->bytes.n || p->p_filesz > r->bytes.n - p->p_offset)
        return damaged(r, "its interpreter's name beyond its end");
    end = p->p_filesz ? memchr(r->bytes.p + p->p_offset, '\0', p->p_filesz) : NULL;
    if (!end)
        return damaged(r, "its interpreter's name without end");
    out->interpreter.p = r->bytes.p + p->p_offset;
    out->interpreter.n = (size_t)(end - out->interpreter.p);
    return GAL_OK;
}

/* --- the dynamic section --- */

/* Entries of it up to its end mark. */
static uint64_t entry_count(const struct reading *r)
{
    uint64_t count = r->dynamic.p_filesz / sizeof(Elf64_Dyn), i;
    Elf64_Dyn d;
    for (i = 0; i < count && i < GAL_ELF_ENTRIES_MAX; i++) {
        if (!take(r->bytes, r->dynamic.p_offset + i * sizeof d, &d, sizeof d) || d.d_tag == DT_NULL)
            break;
    }
    return i;
}

static Elf64_Dyn entry(const struct reading *r, uint64_t i)
{
    Elf64_Dyn d = {.d_tag = DT_NULL};
    (void)take(r->bytes, r->dynamic.p_offset + i * sizeof d, &d, sizeof d);
    return d;
}

static bool value_of(const struct reading *r, uint64_t count, int64_t tag, uint64_t *value)
{
    for (uint64_t i = 0; i < count; i++) {
        Elf64_Dyn d = entry(r, i);
        if (d.d_tag == tag) {
            *value = d.d_un.d_val;
            return true;
        }
    }
    return false;
}

static enum gal_status find_strings(struct reading *r, uint64_t count)
{
    uint64_t address;
    if (!value_of(r, count, DT_STRTAB, &address) ||
        !value_of(r, count, DT_STRSZ, &r->strings_size) || r->strings_size == 0)
        return damaged(r, "no table of names");
    if (!place_of(r, address, &r->strings) || r->strings_size > r->bytes.n - r->strings)
        return damaged(r, "its table of names beyond its end");
    return GAL_OK;
}

static enum gal_status read_names(struct reading *r, uint64_t count, struct gal_elf *out)
{
    struct gal_str *libraries = gal_arena_array(r->arena, (size_t)count + 1, sizeof *libraries),
                   *to;
    enum gal_status status = GAL_OK;
    if (!libraries)
        return gal_arena_fail(r->arena, (size_t)count * sizeof *libraries, "libraries", r->err);
    out->libraries = libraries;
    for (uint64_t i = 0; i < count && !status; i++) {
        Elf64_Dyn d = entry(r, i);
        to = d.d_tag == DT_NEEDED    ? &libraries[out->library_count++]
             : d.d_tag == DT_SONAME  ? &out->soname
             : d.d_tag == DT_RPATH   ? &out->rpath
             : d.d_tag == DT_RUNPATH ? &out->runpath
                                     : NULL;
        if (to)
            status = string_at(r, d.d_un.d_val, to);
    }
    return status;
}

/* --- versions of symbols --- */

struct versions {
    struct gal_elf_version *items; /* the arena's */
    size_t count, room;
};

static enum gal_status add_version(struct reading *r, struct versions *v, struct gal_str file,
                                   uint64_t name)
{
    struct gal_elf_version *items = v->items;
    if (v->count == GAL_ELF_ENTRIES_MAX)
        return damaged(r, "too many versions");
    if (v->count == v->room) {
        size_t room = v->room ? 2 * v->room : 32;
        items = gal_arena_array(r->arena, room, sizeof *items);
        if (!items)
            return gal_arena_fail(r->arena, room * sizeof *items, "versions", r->err);
        if (v->count)
            memcpy(items, v->items, v->count * sizeof *items);
        v->items = items;
        v->room = room;
    }
    items[v->count].file = file;
    return string_at(r, name, &items[v->count++].name);
}

static enum gal_status read_need(struct reading *r, uint64_t at, const Elf64_Verneed *need,
                                 struct versions *v)
{
    struct gal_str file;
    Elf64_Vernaux aux;
    enum gal_status status = string_at(r, need->vn_file, &file);
    at += need->vn_aux;
    for (unsigned i = 0; i < need->vn_cnt && !status; i++) {
        if (!take(r->bytes, at, &aux, sizeof aux))
            return damaged(r, "a needed version beyond its end");
        if (!(aux.vna_flags & VER_FLG_WEAK))
            status = add_version(r, v, file, aux.vna_name);
        if (aux.vna_next == 0)
            break;
        at += aux.vna_next;
    }
    return status;
}

static enum gal_status read_needs(struct reading *r, uint64_t count, struct gal_elf *out)
{
    struct versions v = {0};
    uint64_t address, at, number = 0;
    enum gal_status status = GAL_OK;
    Elf64_Verneed need;
    if (!value_of(r, count, DT_VERNEED, &address))
        return GAL_OK;
    (void)value_of(r, count, DT_VERNEEDNUM, &number);
    if (!place_of(r, address, &at) || number > GAL_ELF_ENTRIES_MAX)
        return damaged(r, "its table of needed versions");
    for (uint64_t i = 0; i < number && !status; i++) {
        if (!take(r->bytes, at, &need, sizeof need))
            return damaged(r, "a needed version beyond its end");
        status = read_need(r, at, &need, &v);
        if (need.vn_next == 0)
            break;
        at += need.vn_next;
    }
    out->needs = v.items;
    out->need_count = v.count;
    return status;
}

static enum gal_status read_offers(struct reading *r, uint64_t count, struct gal_elf *out)
{
    struct versions v = {0};
    uint64_t address, at, number = 0;
    enum gal_status status = GAL_OK;
    Elf64_Verdef def;
    Elf64_Verdaux aux;
    if (!value_of(r, count, DT_VERDEF, &address))
        return GAL_OK;
    (void)value_of(r, count, DT_VERDEFNUM, &number);
    if (!place_of(r, address, &at) || number > GAL_ELF_ENTRIES_MAX)
        return damaged(r, "its table of versions");
    for (uint64_t i = 0; i < number && !status; i++) {
        if (!take(r->bytes, at, &def, sizeof def) ||
            !take(r->bytes, at + def.vd_aux, &aux, sizeof aux))
            return damaged(r, "a version beyond its end");
        status = add_version(r, &v, (struct gal_str){NULL, 0}, aux.vda_name);
        if (def.vd_next == 0)
            break;
        at += def.vd_next;
    }
    out->offers = v.items;
    out->offer_count = v.count;
    return status;
}

enum gal_status gal_elf_read(struct gal_str bytes, struct gal_arena *arena, struct gal_elf *out,
                             struct gal_err *err)
{
    struct reading r = {.bytes = bytes, .arena = arena, .err = err};
    enum gal_status status = read_head(&r);
    uint64_t count;
    *out = (struct gal_elf){.machine = r.head.e_machine};
    if (!status)
        status = find_segments(&r);
    if (!status)
        status = read_interpreter(&r, out);
    if (status || r.dynamic.p_type != PT_DYNAMIC)
        return status;
    count = entry_count(&r);
    if (count == 0)
        return GAL_OK;
    status = find_strings(&r, count);
    if (!status)
        status = read_names(&r, count, out);
    if (!status)
        status = read_needs(&r, count, out);
    return status ? status : read_offers(&r, count, out);
}

/* --- slimming --- */

/* Behind everything that is loaded, and the program headers. */
static uint64_t loaded_end(const struct reading *r)
{
    uint64_t end = sizeof r->head + 0u, table;
    Elf64_Phdr p;
    table = r->head.e_phoff + (uint64_t)r->head.e_phnum * sizeof p;
    end = table > end ? table : end;
    for (unsigned i = 0; i < r->head.e_phnum; i++) {
        if (take_segment(r, i, &p) && p.p_type == PT_LOAD && p.p_offset + p.p_filesz > end)
            end = p.p_offset + p.p_filesz;
    }
    return end;
}

/* In the copy that has been appended to out at `base`. */
static enum gal_status set_interpreter(struct reading *r, const char *interpreter, char *copy)
{
    size_t size = strlen(interpreter) + 1;
    Elf64_Phdr p;
    if (r->interp.p_type != PT_INTERP)
        return GAL_OK; /* a static program needs none */
    if (r->interp.p_offset > r->bytes.n || r->interp.p_filesz > r->bytes.n - r->interp.p_offset)
        return damaged(r, "its interpreter's name beyond its end");
    if (size > r->interp.p_filesz)
        return gal_fail(r->err, GAL_UNSUPPORTED, "no room for the loader's path %s", interpreter);
    memset(copy + r->interp.p_offset, 0, r->interp.p_filesz);
    memcpy(copy + r->interp.p_offset, interpreter, size);
    for (unsigned i = 0; i < r->head.e_phnum; i++) {
        uint64_t at = r->head.e_phoff + i * sizeof p;
        if (take_segment(r, i, &p) && p.p_type == PT_INTERP) {
            p.p_filesz = p.p_memsz = size;
            memcpy(copy + at, &p, sizeof p);
        }
    }
    return GAL_OK;
}

enum gal_status gal_elf_slim(struct gal_str bytes, const char *interpreter, struct gal_buf *out,
                             struct gal_err *err)
{
    struct reading r = {.bytes = bytes, .err = err};
    enum gal_status status = read_head(&r);
    uint64_t end;
    char *copy;
    if (!status)
        status = find_segments(&r);
    if (status)
        return status;
    end = loaded_end(&r);
    if (end > bytes.n)
        return damaged(&r, "program headers beyond its end");
    if (r.interp.p_type == PT_INTERP && r.interp.p_offset + r.interp.p_filesz > end)
        return damaged(&r, "its interpreter's name is not loaded");
    copy = gal_buf_reserve(out, (size_t)end);
    if (!copy)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a program of %llu bytes",
                        (unsigned long long)end);
    memcpy(copy, bytes.p, (size_t)end);
    r.head.e_shoff = 0;
    r.head.e_shnum = r.head.e_shstrndx = r.head.e_shentsize = 0;
    memcpy(copy, &r.head, sizeof r.head);
    if (interpreter)
        status = set_interpreter(&r, interpreter, copy);
    if (!status)
        out->n += (size_t)end;
    return status;
}
