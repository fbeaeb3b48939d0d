/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/advice.h"

/* --- formats --- */

enum gal_form gal_form_of(struct gal_str name)
{
    static const struct {
        const char *ending;
        enum gal_form form;
    } known[] = {
        {".onnx", GAL_FORM_ONNX},     {".ort", GAL_FORM_ONNX},          {".pkl", GAL_FORM_PICKLE},
        {".pickle", GAL_FORM_PICKLE}, {".joblib", GAL_FORM_PICKLE},     {".pt", GAL_FORM_TORCH},
        {".pth", GAL_FORM_TORCH},     {".keras", GAL_FORM_KERAS},       {".h5", GAL_FORM_KERAS},
        {".tflite", GAL_FORM_TFLITE}, {".ubj", GAL_FORM_BOOSTER},       {".json", GAL_FORM_BOOSTER},
        {".txt", GAL_FORM_BOOSTER},   {".safetensors", GAL_FORM_TORCH},
    };
    if (gal_str_is(name, "MLmodel"))
        return GAL_FORM_MLFLOW;
    if (gal_str_is(name, "saved_model.pb"))
        return GAL_FORM_SAVED_MODEL;
    if (gal_str_is(name, "pytorch_model.bin"))
        return GAL_FORM_TORCH;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (gal_str_ends(name, gal_str_of(known[i].ending)))
            return known[i].form;
    }
    return GAL_FORM_UNKNOWN;
}

const char *gal_form_name(enum gal_form form)
{
    static const char *const names[] = {
        [GAL_FORM_UNKNOWN] = "unknown",
        [GAL_FORM_ONNX] = "ONNX",
        [GAL_FORM_PICKLE] = "a pickle (scikit-learn)",
        [GAL_FORM_TORCH] = "PyTorch",
        [GAL_FORM_SAVED_MODEL] = "a SavedModel (TensorFlow)",
        [GAL_FORM_KERAS] = "Keras",
        [GAL_FORM_TFLITE] = "TFLite",
        [GAL_FORM_BOOSTER] = "gradient boosting (XGBoost, LightGBM)",
        [GAL_FORM_MLFLOW] = "an MLflow model",
    };
    return names[form];
}

const char *gal_use_name(enum gal_use use)
{
    static const char *const names[] = {
        [GAL_USE_SERVER] = "server",     [GAL_USE_PYTHON] = "python",       [GAL_USE_EDGE] = "edge",
        [GAL_USE_REGISTRY] = "registry", [GAL_USE_LANGUAGES] = "languages",
    };
    return names[use];
}

static const struct gal_advice keep_onnx = {
    "onnx", "it runs without its framework and without code of its own",
    "galley pack makes a package of it, which proves itself at every load"};
static const struct gal_advice to_onnx = {
    "onnx",
    "a server then needs no framework, runs no code that a file brings, and is faster than the "
    "framework's own inference",
    "galley init PATH --convert, then galley verify"};
static const struct gal_advice from_mlflow = {
    "onnx", "galley serves the onnx flavour as it is, and the others when they are converted",
    "galley init PATH; galley serve models:/NAME/STAGE takes it from the registry"};

static struct gal_advice for_server(enum gal_form form)
{
    if (form == GAL_FORM_ONNX)
        return keep_onnx;
    return form == GAL_FORM_MLFLOW ? from_mlflow : to_onnx;
}

static struct gal_advice for_python(enum gal_form form)
{
    switch (form) {
    case GAL_FORM_PICKLE:
        return (struct gal_advice){
            "joblib",
            "Python that trains goes on with the object itself; large arrays load fast. It runs "
            "code when it is loaded, and only the version that wrote it reads it for sure",
            "joblib.dump, with scikit-learn pinned exactly beside it; load only files of your own"};
    case GAL_FORM_TORCH:
        return (struct gal_advice){"state_dict", "training goes on from it, and it holds no code",
                                   "torch.save(model.state_dict(), ...), the class under version "
                                   "control"};
    case GAL_FORM_BOOSTER:
        return (struct gal_advice){"native", "the library's own file reads in all its versions",
                                   "save_model(...), never a pickle"};
    case GAL_FORM_SAVED_MODEL:
    case GAL_FORM_KERAS:
        return (struct gal_advice){"keras", "training goes on from it", "model.save(\"x.keras\")"};
    default:
        return (struct gal_advice){"onnx", "onnxruntime runs it from Python too",
                                   "onnxruntime.InferenceSession(PATH)"};
    }
}

static struct gal_advice for_edge(enum gal_form form)
{
    if (form == GAL_FORM_TFLITE)
        return (struct gal_advice){"tflite", "it is made for phones and small devices",
                                   "keep it; for a server beside it: galley init PATH --convert"};
    if (form == GAL_FORM_SAVED_MODEL || form == GAL_FORM_KERAS)
        return (struct gal_advice){"tflite", "TensorFlow's own converter makes it small and quick",
                                   "tf.lite.TFLiteConverter"};
    return (struct gal_advice){
        "onnx", "ONNX Runtime runs on phones and small devices without the framework",
        form == GAL_FORM_ONNX ? "quantize it and compare: galley consistency "
                                "PATH QUANTIZED -i ROWS"
                              : "galley init PATH --convert"};
}

struct gal_advice gal_advise_format(enum gal_form form, enum gal_use use)
{
    switch (use) {
    case GAL_USE_PYTHON:
        return for_python(form);
    case GAL_USE_EDGE:
        return for_edge(form);
    case GAL_USE_REGISTRY:
        return (struct gal_advice){
            "native", "a registry's own flavour keeps signature, example and environment beside it",
            form == GAL_FORM_ONNX ? "mlflow.onnx.log_model(...); galley serve models:/NAME/STAGE"
                                  : "mlflow's log_model of the framework's flavour; mlflow.onnx "
                                    "for what is served"};
    case GAL_USE_LANGUAGES:
        if (form == GAL_FORM_SAVED_MODEL)
            return (struct gal_advice){
                "savedmodel", "TensorFlow's libraries read it in C++, Java, Go and JavaScript",
                "keep it; where TensorFlow is not wanted: galley init PATH --convert"};
        return (struct gal_advice){
            "onnx", "runtimes in C, C++, C#, Java, JavaScript, Rust and Swift read it",
            for_server(form).how};
    default:
        return for_server(form);
    }
}

/* --- delivery --- */

struct gal_advice gal_advise_delivery(const struct gal_delivery *d)
{
    if (d->is_air_gapped)
        return (struct gal_advice){
            "bake", "nothing can be fetched where it runs",
            "galley image build PATH -t REF -o FILE.tar, and carry the file"};
    if (d->is_tracked)
        return (struct gal_advice){
            "registry",
            "versions stand side by side under names and digests: compared, promoted, rolled back",
            "galley push PATH REGISTRY/models/NAME:VERSION; galley serve oci://... or "
            "models:/NAME/STAGE"};
    if (d->is_frequent || d->many_environments)
        return (struct gal_advice){
            "pull",
            d->is_frequent ? "it changes more often than the server: no image is built for it"
                           : "one image goes everywhere, and each environment names its model",
            "galley image build PATH -t REF --without-weights --source URL; MODEL_PATH at "
            "deployment"};
    if (d->is_shared && d->bytes > GAL_MOUNT_BYTES_MIN)
        return (struct gal_advice){
            "mount", "one copy on a volume serves all, and its pages are in memory once",
            "galley image build PATH -t REF --without-weights --source /models, and the volume at "
            "/models, read-only"};
    if (d->bytes < GAL_BAKE_BYTES_MAX)
        return (struct gal_advice){
            "bake", "small, and it seldom changes: one artifact, nothing to fetch at the start",
            "galley image build PATH -t REF --push"};
    return (struct gal_advice){
        "pull",
        "500 MB or more make images slow to build, to move and to start; a cache keeps what was "
        "fetched",
        "galley image build PATH -t REF --without-weights --source URL"};
}
