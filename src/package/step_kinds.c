/* SPDX-License-Identifier: Apache-2.0 */
/* The table of steps: what there is, with its parameters. docs/transforms.md is held against it. */
#include "package/step_impl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FEATURES                                                                                   \
    {                                                                                              \
        "features", "features", true, "The columns; each is replaced"                              \
    }
#define FEATURE                                                                                    \
    {                                                                                              \
        "feature", "feature", true, "The column"                                                   \
    }
#define OUTPUT                                                                                     \
    {                                                                                              \
        "output", "feature", true, "The column"                                                    \
    }
#define TO                                                                                         \
    {                                                                                              \
        "to", "column", false, "Name of the result; untold it takes the column's place"            \
    }
#define FLOAT                                                                                      \
    {                                                                                              \
        "type", "type", false, "FP32, FP64, FP16 or BF16; untold FP64 for FP64, else FP32"         \
    }

static const struct gal_step_param impute[] = {
    FEATURES,
    {"with", "texts", true, "What stands in: one value, or one a column"},
    {"missing", "text", false, "The value that stands for nothing; untold NaN, of texts the empty"},
    TO,
};
static const struct gal_step_param missing[] = {
    FEATURES,
    {"to", "column", true, "Name of the result"},
    {"type", "type", false, "Datatype of the result; untold BOOL"},
};
static const struct gal_step_param text[] = {
    FEATURES,
    {"normalize", "NFC|NFD|NFKC|NFKD", false, "Unicode normalization form"},
    {"lower", "bool", false, "Lower case"},
    {"strip", "bool", false, "No white space at the ends"},
    {"collapse", "bool", false, "Each run of white space becomes one space"},
    TO,
};
static const struct gal_step_param clip[] = {
    FEATURES,
    {"min", "numbers", false, "Least value, or one a column"},
    {"max", "numbers", false, "Largest value, or one a column"},
    TO,
};
static const struct gal_step_param log_params[] = {
    FEATURES,
    {"plus", "number", false, "Added before; untold 0, 1 makes log1p"},
    {"base", "number", false, "Base of the logarithm; untold e"},
    TO,
    FLOAT,
};
static const struct gal_step_param exp_params[] = {
    FEATURES,
    {"minus", "number", false, "Taken off after; untold 0, 1 makes expm1"},
    {"base", "number", false, "What is raised; untold e"},
    TO,
    FLOAT,
};
static const struct gal_step_param power[] = {
    FEATURES,
    {"method", "yeo-johnson|box-cox|plain", false, "The transformation; untold yeo-johnson"},
    {"lambdas", "numbers", true, "Exponents, one a column"},
    TO,
    FLOAT,
};
static const struct gal_step_param scale[] = {
    FEATURES,
    {"mean", "numbers", false, "Taken off first; with std"},
    {"std", "numbers", false, "Divided by then; 0 stands for 1"},
    {"min", "numbers", false, "Becomes the range's lower end; with max"},
    {"max", "numbers", false, "Becomes the range's upper end"},
    {"range", "numbers", false, "With min and max: two numbers; untold [0, 1]"},
    {"clip", "bool", false, "With min and max: values beyond are cut to the range"},
    {"center", "numbers", false, "Taken off first; with scale"},
    {"scale", "numbers", false, "Divided by then; 0 stands for 1"},
    {"invert", "bool", false, "Back from the scaled value to the original"},
    TO,
    FLOAT,
};
static const struct gal_step_param normalize[] = {
    FEATURE,
    {"norm", "l2|l1|max", false, "What each row is divided by; untold l2"},
    TO,
    FLOAT,
};
static const struct gal_step_param bucketize[] = {
    FEATURE,
    {"edges", "numbers", true, "Rising bounds of the buckets, the inner ones"},
    {"right", "bool", false, "A value on an edge belongs below it; untold above"},
    TO,
    {"type", "type", false, "Datatype of the bucket's number; untold INT64"},
};
static const struct gal_step_param one_hot[] = {
    FEATURE,
    {"values", "texts", true, "The categories, in the order of the places"},
    {"unknown", "error|zeros", false, "What another value is; untold an error"},
    {"drop", "first|if_binary|text", false, "A category without a place"},
    TO,
    {"type", "type", false, "Datatype of the places; untold FP32"},
};
static const struct gal_step_param ordinal[] = {
    FEATURE,
    {"values", "texts", true, "The categories, in the order of their numbers from 0"},
    {"unknown", "error|number", false, "What another value is; untold an error"},
    TO,
    {"type", "type", false, "Datatype of the number; untold INT64, FP32 where unknown is nan"},
};
static const struct gal_step_param hash[] = {
    FEATURE,
    {"buckets", "integer", true, "How many there are"},
    {"seed", "integer", false, "Of the hash; untold 0"},
    {"prefix", "text", false, "Put before each text, as FeatureHasher puts \"name=\""},
    {"as", "index|vector", false, "The bucket's number, or a row with 1 or -1 in it"},
    {"alternate_sign", "bool", false, "Of a vector: the hash's sign; untold true"},
    TO,
    {"type", "type", false, "Datatype; untold INT64, of a vector FP32"},
};
static const struct gal_step_param image[] = {
    FEATURE,
    {"width", "integer", true, "Pixels"},
    {"height", "integer", true, "Pixels"},
    {"layout", "nchw|nhwc", false, "Order of the axes; untold nchw"},
    {"fit", "stretch|fit|crop|exact", false, "How it comes to the size; untold stretch"},
    {"short_side", "integer", false, "With crop: the shorter side before the middle is cut"},
    {"color", "rgb|bgr|gray", false, "Channels; untold rgb"},
    {"orientation", "exif|ignore", false, "Whether EXIF turns the image; untold it does"},
    {"scale", "number", false, "A pixel's factor; untold 1/255, for UINT8 1"},
    {"mean", "numbers", false, "Taken off each channel, after scale"},
    {"std", "numbers", false, "Each channel is divided by it then"},
    {"pad", "integer", false, "With fit: what fills the rest, 0 to 255"},
    TO,
    {"type", "type", false, "FP32, FP16 or UINT8; untold FP32"},
};
static const struct gal_step_param tokenize[] = {
    FEATURE,
    {"file", "text", true, "A tokenizer.json or a vocab.txt of the package"},
    {"max_length", "integer", false, "Tokens of a text, special ones too; untold as the file says"},
    {"length", "integer", false, "Tokens of every row; untold as the file says, or the longest's"},
    {"multiple", "integer", false, "Rows are a multiple of it long"},
    {"pad_token", "text", false, "What fills short rows; untold as the file says, [PAD] or <pad>"},
    {"cased", "bool", false, "Of a vocab.txt: neither lower case nor accents taken off"},
    {"ids", "column", false, "Name of the tokens' numbers; untold input_ids"},
    {"mask", "column", false, "Name of 1 for a token, 0 for filling; untold attention_mask"},
    {"types", "column", false, "Name of the tokens' types; untold token_type_ids"},
};
static const struct gal_step_param constant[] = {
    {"to", "column", true, "Name of the result"},
    {"value", "text", true, "The value of every row"},
    {"type", "type", false, "Datatype; untold FP32"},
};
static const struct gal_step_param cast[] = {
    FEATURES,
    {"type", "type", true, "The datatype; what does not fit is an error"},
    TO,
};
static const struct gal_step_param assemble[] = {
    {"from", "features", true, "The columns, in the order of their places"},
    {"to", "column", true, "Name of the result"},
    {"type", "type", false, "Datatype; untold FP32"},
};
static const struct gal_step_param rename_params[] = {
    {"from", "column", true, "The column"},
    {"to", "column", true, "Its new name"},
};
static const struct gal_step_param unzip[] = {
    OUTPUT,
    TO,
    {"labels", "texts", false, "The classes, in the order of the places; untold the model's"},
};
static const struct gal_step_param pool[] = {
    OUTPUT,
    {"method", "mean|cls|max", false, "Of all tokens, or the first one's; untold mean"},
    {"mask", "text", false,
     "Column that says what counts, before the model or behind it; untold attention_mask"},
    TO,
    FLOAT,
};
static const struct gal_step_param output_to[] = {OUTPUT, TO};
static const struct gal_step_param outputs_to[] = {
    {"outputs", "features", true, "The columns; each is replaced"}, TO};
static const struct gal_step_param pick[] = {
    OUTPUT,
    {"index", "integer", false, "The place, from 0; negative from the end"},
    {"label", "text", false, "The place of a class"},
    TO,
};
static const struct gal_step_param round_params[] = {
    {"outputs", "features", true, "The columns; each is replaced"},
    {"digits", "integer", false, "Behind the point; untold 0, negative before it"},
    TO,
};
static const struct gal_step_param threshold[] = {
    OUTPUT,
    {"above", "number", false, "True when more than this"},
    {"at_least", "number", false, "True when this or more"},
    {"below", "number", false, "True when less than this"},
    {"at_most", "number", false, "True when this or less"},
    TO,
    {"type", "type", false, "Datatype of 0 and 1; untold BOOL"},
};
static const struct gal_step_param bands[] = {
    OUTPUT,
    {"bands", "bands", true, "Conditions (above, at_least, below, at_most) and what `is`"},
    {"else", "text", true, "Where none of them holds, and of NaN"},
    TO,
};
static const struct gal_step_param labels[] = {
    OUTPUT,
    {"names", "texts", false, "Names of the classes from 0; untold the column's own"},
    TO,
};
static const struct gal_step_param top_k[] = {
    OUTPUT,
    {"k", "integer", true, "How many"},
    {"names", "texts", false, "Names of the classes from 0; untold the column's own, or numbers"},
    TO,
    {"scores", "column", false, "Name of a column with their scores"},
};

#define STEP(name, text, params, before, after)                                                    \
    {                                                                                              \
        name, text, params, COUNT(params), before, after                                           \
    }

static const struct gal_step_kind kinds[] = {
    STEP("impute", "What is missing gets a value", impute, true, true),
    STEP("missing", "Whether a value is missing", missing, true, false),
    STEP("text", "Texts in one form: case, white space, Unicode", text, true, true),
    STEP("clip", "Values within bounds", clip, true, true),
    STEP("log", "Logarithms", log_params, true, true),
    STEP("exp", "Powers of e or another base: log undone", exp_params, true, true),
    STEP("power", "Power transformations", power, true, false),
    STEP("scale", "Numbers moved and divided", scale, true, true),
    STEP("normalize", "Each row by its length", normalize, true, true),
    STEP("bucketize", "Numbers of buckets", bucketize, true, true),
    STEP("one_hot", "A category as places of 0 and 1", one_hot, true, false),
    STEP("ordinal", "A category as its number", ordinal, true, false),
    STEP("hash", "A text as the number of a bucket", hash, true, false),
    STEP("image", "Encoded images as tensors", image, true, false),
    STEP("tokenize", "A text as tokens of a vocabulary", tokenize, true, false),
    STEP("constant", "A column of one value", constant, true, true),
    STEP("cast", "Another datatype", cast, true, true),
    STEP("assemble", "Columns side by side", assemble, true, true),
    STEP("rename", "Another name", rename_params, true, true),
    STEP("unzip", "ZipMap's maps as a tensor", unzip, false, true),
    STEP("pool", "The tokens' vectors as the text's one", pool, false, true),
    STEP("softmax", "Scores to probabilities over the last axis", output_to, false, true),
    STEP("sigmoid", "Scores to probabilities one by one", outputs_to, false, true),
    STEP("pick", "One place of the last axis", pick, true, true),
    STEP("round", "Fewer digits, halves to even", round_params, true, true),
    STEP("threshold", "A decision", threshold, true, true),
    STEP("bands", "Names for ranges of values", bands, false, true),
    STEP("argmax", "The place of the largest value of the last axis", output_to, false, true),
    STEP("labels", "Names for numbers of classes", labels, false, true),
    STEP("top_k", "The best places of a row, best first", top_k, false, true),
};

static enum gal_status (*const makers[])(struct gal_step_compiler *) = {
    gal_step_make_impute,    gal_step_make_missing,   gal_step_make_text,
    gal_step_make_clip,      gal_step_make_log,       gal_step_make_exp,
    gal_step_make_power,     gal_step_make_scale,     gal_step_make_normalize,
    gal_step_make_bucketize, gal_step_make_one_hot,   gal_step_make_ordinal,
    gal_step_make_hash,      gal_step_make_image,     gal_step_make_tokenize,
    gal_step_make_constant,  gal_step_make_cast,      gal_step_make_assemble,
    gal_step_make_rename,    gal_step_make_unzip,     gal_step_make_pool,
    gal_step_make_softmax,   gal_step_make_sigmoid,   gal_step_make_pick,
    gal_step_make_round,     gal_step_make_threshold, gal_step_make_bands,
    gal_step_make_argmax,    gal_step_make_labels,    gal_step_make_top_k,
};
_Static_assert(COUNT(kinds) == COUNT(makers), "a maker a kind");

const struct gal_step_kind *gal_step_kinds(size_t *count)
{
    *count = COUNT(kinds);
    return kinds;
}

enum gal_status gal_step_make_kind(const struct gal_step_kind *kind, struct gal_step_compiler *c)
{
    return makers[kind - kinds](c);
}
