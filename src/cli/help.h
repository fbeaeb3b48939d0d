/* SPDX-License-Identifier: Apache-2.0 */
/* Help, made from the tables. */
#ifndef GAL_CLI_HELP_H
#define GAL_CLI_HELP_H

#include "cli/command.h"

void gal_help_group(FILE *out, const struct gal_command_group *group);
void gal_help_overview(FILE *out);
void gal_help_command(FILE *out, const struct gal_command *command);
/* Colour is for terminals, and not for those who set NO_COLOR (no-color.org). */
bool gal_colour_wanted(FILE *out);

#endif
