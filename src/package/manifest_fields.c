/* SPDX-License-Identifier: Apache-2.0 */
#include "package/manifest_fields.h"

#define AT_TOP(member) offsetof(struct gal_manifest_draft, member)
#define AT_MODEL(member) offsetof(struct gal_manifest_draft, member)
#define AT_GOLDEN(member) offsetof(struct gal_manifest_draft, member)
#define AT_CONFIDENCE(member) offsetof(struct gal_manifest_draft, member)
#define AT_STABILITY(member) offsetof(struct gal_manifest_draft, member)
#define AT_FEATURE(member) offsetof(struct gal_feature, member)
#define AT_OUTLIER(member) offsetof(struct gal_feature, member)
#define AT_RULE(member) offsetof(struct gal_rule_draft, member)
#define AT_OUTPUT(member) offsetof(struct gal_output, member)
#define NEEDED GAL_FIELD_NEEDED
#define FIRST GAL_FIELD_FIRST

const struct gal_field gal_fields[] = {
#define GAL_FIELD(object, name, kind, member, count, min, max, flags, words, child, help)          \
    {GAL_OBJECT_##object,                                                                          \
     name,                                                                                         \
     GAL_FIELD_##kind,                                                                             \
     AT_##object(member),                                                                          \
     AT_##object(count),                                                                           \
     min,                                                                                          \
     max,                                                                                          \
     flags,                                                                                        \
     words,                                                                                        \
     GAL_OBJECT_##child,                                                                           \
     help},
#include "package/manifest.def"
#undef GAL_FIELD
};
const size_t gal_field_count = sizeof gal_fields / sizeof *gal_fields;

/* The first of a datatype is the one that documents show. */
const struct gal_type_name gal_type_names[] = {
    {"float", GAL_FEATURE_NUMBER, GAL_DT_FP32},    {"double", GAL_FEATURE_NUMBER, GAL_DT_FP64},
    {"int", GAL_FEATURE_NUMBER, GAL_DT_INT64},     {"bool", GAL_FEATURE_BOOL, GAL_DT_BOOL},
    {"text", GAL_FEATURE_TEXT, GAL_DT_BYTES},      {"image", GAL_FEATURE_IMAGE, GAL_DT_BYTES},
    {"int8", GAL_FEATURE_NUMBER, GAL_DT_INT8},     {"int16", GAL_FEATURE_NUMBER, GAL_DT_INT16},
    {"int32", GAL_FEATURE_NUMBER, GAL_DT_INT32},   {"int64", GAL_FEATURE_NUMBER, GAL_DT_INT64},
    {"uint8", GAL_FEATURE_NUMBER, GAL_DT_UINT8},   {"uint16", GAL_FEATURE_NUMBER, GAL_DT_UINT16},
    {"uint32", GAL_FEATURE_NUMBER, GAL_DT_UINT32}, {"uint64", GAL_FEATURE_NUMBER, GAL_DT_UINT64},
    {"half", GAL_FEATURE_NUMBER, GAL_DT_FP16},     {"string", GAL_FEATURE_TEXT, GAL_DT_BYTES},
    {"BOOL", GAL_FEATURE_BOOL, GAL_DT_BOOL},       {"INT8", GAL_FEATURE_NUMBER, GAL_DT_INT8},
    {"INT16", GAL_FEATURE_NUMBER, GAL_DT_INT16},   {"INT32", GAL_FEATURE_NUMBER, GAL_DT_INT32},
    {"INT64", GAL_FEATURE_NUMBER, GAL_DT_INT64},   {"UINT8", GAL_FEATURE_NUMBER, GAL_DT_UINT8},
    {"UINT16", GAL_FEATURE_NUMBER, GAL_DT_UINT16}, {"UINT32", GAL_FEATURE_NUMBER, GAL_DT_UINT32},
    {"UINT64", GAL_FEATURE_NUMBER, GAL_DT_UINT64}, {"FP16", GAL_FEATURE_NUMBER, GAL_DT_FP16},
    {"BF16", GAL_FEATURE_NUMBER, GAL_DT_BF16},     {"FP32", GAL_FEATURE_NUMBER, GAL_DT_FP32},
    {"FP64", GAL_FEATURE_NUMBER, GAL_DT_FP64},     {"BYTES", GAL_FEATURE_TEXT, GAL_DT_BYTES},
};
const size_t gal_type_name_count = sizeof gal_type_names / sizeof *gal_type_names;
