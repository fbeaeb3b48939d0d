/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of stores, S3's and Azure's, and STS's answers: what is planned lies below the root. */
#include "source/aws.h"
#include "source/listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size};
    struct gal_arena arena;
    struct gal_aws_keys keys;
    struct gal_err err;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 16 << 20);
    for (int kind = GAL_LISTING_S3; kind <= GAL_LISTING_AZURE; kind++) {
        struct gal_source_run run = {.arena = &arena, .plan = {.root = "r"}};
        struct gal_listing l = {
            .run = &run, .prefix = GAL_STR("p/"), .kind = (enum gal_listing_kind)kind};
        enum gal_status status = gal_listing_read(&l, text, &err);
        GAL_ASSERT(status == GAL_OK || err.message[0]);
        for (size_t i = 0; i < run.plan.count; i++) {
            GAL_ASSERT(strncmp(run.plan.objects[i].place, "r/", 2) == 0);
            GAL_ASSERT(gal_source_name_safe(gal_str_of(run.plan.objects[i].place)));
        }
    }
    (void)gal_aws_sts_read(text, &arena, &keys, &err);
    gal_arena_release(&arena);
    return 0;
}
