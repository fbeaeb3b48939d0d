/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's errors in our words and its own. */
#include "backend/onnx_internal.h"

#include <ctype.h>
#include <stdio.h>

/* "/onnxruntime_src/onnxruntime/core/x.cc:12 " at p: its length with the space, else 0. */
static size_t source_place(const char *p)
{
    size_t n = strcspn(p, " \n");
    const char *colon = memrchr(p, ':', n);
    if (!colon || p[n] != ' ')
        return 0;
    for (const char *d = colon + 1; d < p + n; d++) {
        if (!isdigit((unsigned char)*d))
            return 0;
    }
    struct gal_str file = {p, (size_t)(colon - p)};
    bool is_source = gal_str_ends(file, GAL_STR(".cc")) || gal_str_ends(file, GAL_STR(".h")) ||
                     gal_str_ends(file, GAL_STR(".cpp")) || gal_str_ends(file, GAL_STR(".hpp"));
    return is_source && colon + 1 < p + n && memchr(p, '/', file.n) ? n + 1 : 0;
}

/* Length of what is in a pair of brackets that opens at p, with the brackets; 0 when open-ended. */
static size_t bracketed(const char *p, char open, char close)
{
    size_t depth = 0;
    for (size_t i = 0; p[i]; i++) {
        depth += p[i] == open;
        if (p[i] == close && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* The signature that follows a source place, as GCC writes __PRETTY_FUNCTION__: "static T
 * ns::f(A, B) const [with T = int] ". 0 when there is none. */
static size_t signature(const char *p)
{
    size_t i = strcspn(p, "(\n");
    if (p[i] != '(' || !memmem(p, i, "::", 2))
        return 0;
    size_t n = bracketed(p + i, '(', ')');
    if (n == 0)
        return 0;
    i += n;
    if (strncmp(p + i, "::", 2) == 0) { /* "f(int)::<lambda(int)>" */
        size_t angle = strcspn(p + i, "<");
        size_t lambda = p[i + angle] ? bracketed(p + i + angle, '<', '>') : 0;
        i += lambda ? angle + lambda : 0;
    }
    if (strncmp(p + i, " const", 6) == 0)
        i += 6;
    if (strncmp(p + i, " [with ", 7) == 0)
        i += 1 + bracketed(p + i + 1, '[', ']');
    return i + strspn(p + i, " ");
}

void gal_ort_clean(const char *message, char *out, size_t size)
{
    size_t n = 0;
    bool at_word = true;
    const char *p = message;
    while (*p && n + 1 < size) {
        size_t skip = at_word ? source_place(p) : 0;
        if (skip) {
            p += skip;
            p += signature(p);
            continue;
        }
        char c = iscntrl((unsigned char)*p) ? ' ' : *p;
        at_word = c == ' ';
        if (!at_word || (n > 0 && out[n - 1] != ' '))
            out[n++] = c;
        p++;
    }
    while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '.'))
        n--;
    out[n] = '\0';
}

static bool is_out_of_memory(const char *message)
{
    return strstr(message, "bad_alloc") || strstr(message, "Failed to allocate memory") ||
           strstr(message, "Available memory of");
}

/* A node that stops an inference says nothing about whose fault it was, but it is deterministic
 * and the model has answered before: the input was not one for this model. */
static bool is_node_failure(const char *message)
{
    return strstr(message, "Non-zero status code returned while running") != NULL;
}

static enum gal_status status_of(OrtErrorCode code, const char *message, enum gal_ort_phase phase)
{
    if (is_out_of_memory(message))
        return GAL_NO_MEMORY;
    switch (code) {
    case ORT_NO_SUCHFILE:
        return GAL_NOT_FOUND;
    case ORT_NOT_IMPLEMENTED:
        return GAL_UNSUPPORTED;
    case ORT_INVALID_ARGUMENT:
        return GAL_INVALID;
    case ORT_ENGINE_ERROR:
    case ORT_EP_FAIL:
        return GAL_INTERNAL;
    default:
        return phase == GAL_ORT_LOAD || is_node_failure(message) ? GAL_INVALID : GAL_INTERNAL;
    }
}

enum gal_status gal_ort_check(const struct gal_ort *ort, OrtStatus *status,
                              enum gal_ort_phase phase, struct gal_err *err)
{
    if (!status)
        return GAL_OK;
    const char *message = ort->api->GetErrorMessage(status);
    enum gal_status code = status_of(ort->api->GetErrorCode(status), message, phase);
    char clean[sizeof err->message];
    gal_ort_clean(message, clean, sizeof clean);
    gal_fail(err, code, "%s", clean[0] ? clean : "ONNX Runtime gave no reason");
    ort->api->ReleaseStatus(status);
    return code;
}
