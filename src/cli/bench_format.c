/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for people. */
#include "cli/bench.h"

char *gal_short_ns(double ns, char out[GAL_SHORT_SIZE])
{
    static const struct {
        double ns;
        const char *unit;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    size_t i = 0;
    double value;

    while (i < 3 && ns < units[i].ns * 0.9995)
        i++;
    value = ns / units[i].ns;
    snprintf(out, GAL_SHORT_SIZE, "%.*f %s",
             i == 3 || value >= 99.95 ? 0
             : value >= 9.995         ? 1
                                      : 2,
             value, units[i].unit);
    return out;
}

char *gal_short_count(double value, char out[GAL_SHORT_SIZE])
{
    char digits[GAL_SHORT_SIZE];
    size_t n, to = 0;

    if (value < 99.95 || value > 1e15) {
        snprintf(out, GAL_SHORT_SIZE,
                 value > 1e15                   ? "%.3g"
                 : value == (double)(long)value ? "%.0f"
                 : value < 9.995                ? "%.2f"
                                                : "%.1f",
                 value);
        return out;
    }
    n = (size_t)snprintf(digits, sizeof(digits), "%.0f", value);
    for (size_t i = 0; i < n && to + 2 < GAL_SHORT_SIZE; i++) {
        out[to++] = digits[i];
        if ((n - i - 1) % 3 == 0 && i + 1 < n)
            out[to++] = ',';
    }
    out[to] = '\0';
    return out;
}

char *gal_short_share(double share, char out[GAL_SHORT_SIZE])
{
    double percent = share * 100;

    snprintf(out, GAL_SHORT_SIZE,
             percent == 0 || percent >= 9.95 ? "%.0f %%"
             : percent < 0.095               ? "%.2g %%"
                                             : "%.1f %%",
             percent);
    return out;
}
