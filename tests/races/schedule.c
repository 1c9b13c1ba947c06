/* See schedule.h. */
#include "schedule.h"

#include <stdio.h>
#include <string.h>

void schedule_first(const struct design *d, char out[SCHEDULE_SIZE])
{
    size_t n = 0;
    for (int party = 0; party < d->party_count; party++) {
        for (int i = 0; i < design_length(d, party); i++)
            out[n++] = party_letter(party);
    }
    out[n] = '\0';
}

static void swap(char *a, char *b)
{
    char c = *a;
    *a = *b;
    *b = c;
}

/* The classic next permutation: letters in rising order are R < S < T. */
bool schedule_next(char *schedule)
{
    int last = (int)strlen(schedule) - 1;
    int i = last - 1;
    while (i >= 0 && schedule[i] >= schedule[i + 1])
        i--;
    if (i < 0)
        return false;
    int j = last;
    while (schedule[j] <= schedule[i])
        j--;
    swap(&schedule[i], &schedule[j]);
    for (int a = i + 1, b = last; a < b; a++, b--)
        swap(&schedule[a], &schedule[b]);
    return true;
}

void schedule_random(const struct design *d, const struct random_source *random,
                     char out[SCHEDULE_SIZE])
{
    schedule_first(d, out);
    for (size_t n = strlen(out); n > 1; n--)
        swap(&out[n - 1], &out[marline__random_below(random, n)]);
}

uint64_t schedule_count(const struct design *d)
{
    uint64_t count = 1, placed = 0;
    for (int party = 0; party < d->party_count; party++) {
        for (int i = 1; i <= design_length(d, party); i++) {
            placed++;
            count = count * placed / (uint64_t)i;
        }
    }
    return count;
}

int schedule_switches(const char *schedule)
{
    int n = 0;
    for (size_t i = 1; schedule[0] && schedule[i]; i++)
        n += schedule[i] != schedule[i - 1];
    return n;
}

static int party_of(const struct design *d, char letter)
{
    for (int party = 0; party < d->party_count; party++) {
        if (letter == party_letter(party))
            return party;
    }
    return -1;
}

static bool check_lengths(const struct design *d, const int *used, char *out_why, size_t why_size)
{
    for (int party = 0; party < d->party_count; party++) {
        int length = design_length(d, party);
        if (used[party] == length)
            continue;
        (void)snprintf(
            out_why, why_size,
            "the schedule ends before %c's step %d of %d (%s); it needs %d letters in all",
            party_letter(party), used[party] + 1, length, step_name(d->steps[party][used[party]]),
            design_total_length(d));
        return false;
    }
    return true;
}

bool schedule_check(const struct design *d, const char *text, char *out_why, size_t why_size)
{
    int used[PARTY_MAX] = {0};
    for (int i = 0; text[i]; i++) {
        int party = party_of(d, text[i]);
        if (party < 0) {
            (void)snprintf(out_why, why_size, "letter %d is '%c'; design %s has the parties %s",
                           i + 1, text[i], d->id, d->party_count == 3 ? "R, S and T" : "R and S");
            return false;
        }
        int length = design_length(d, party);
        if (used[party] == length) {
            (void)snprintf(out_why, why_size,
                           "step %d cannot run: %c has done its %d steps, the last is %s", i + 1,
                           text[i], length, step_name(d->steps[party][length - 1]));
            return false;
        }
        used[party]++;
    }
    return check_lengths(d, used, out_why, why_size);
}
