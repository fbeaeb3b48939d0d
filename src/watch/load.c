/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/load.h"

static const struct {
    const char *name, *help;
} rows[] = {
#define GAL_LOAD_ROW(name, value, help) {name, help},
#include "watch/load.def"
#undef GAL_LOAD_ROW
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void read_all(const struct gal_sched_stats *s, double values[ROW_COUNT])
{
    size_t i = 0;
#define GAL_LOAD_ROW(name, value, help) values[i++] = (double)(value);
#include "watch/load.def"
#undef GAL_LOAD_ROW
}

/* Which package a version is, to be joined with its other figures. */
static void render_packages(struct gal_expo *e, const struct gal_load *loads, size_t count)
{
    bool begun = false;

    for (size_t i = 0; i < count; i++) {
        if (!loads[i].package_labels)
            continue;
        if (!begun)
            gal_expo_family(e, "model_package_info", GAL_EXPO_GAUGE,
                            "The package that a model version is, always 1");
        begun = true;
        gal_expo_f64(e, loads[i].package_labels, 1);
    }
}

void gal_load_render(struct gal_expo *e, const struct gal_load *loads, size_t count)
{
    double values[ROW_COUNT];

    for (size_t r = 0; count > 0 && r < ROW_COUNT; r++) {
        gal_expo_family(e, rows[r].name, GAL_EXPO_GAUGE, rows[r].help);
        for (size_t i = 0; i < count; i++) {
            read_all(&loads[i].stats, values);
            gal_expo_f64(e, loads[i].labels, values[r]);
        }
    }
    render_packages(e, loads, count);
}
