/* ISO-8601 timestamps; the calendar is the proleptic Gregorian one, without leap seconds. */
#include "base/time_text.h"

#include <time.h>

#include "base/clock.h"

struct cursor {
    const char *at;
    const char *end;
};

static bool read_digits(struct cursor *c, int count, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (c->at == c->end || *c->at < '0' || *c->at > '9') {
            return false;
        }
        value = value * 10 + (*c->at++ - '0');
    }
    *out = value;
    return true;
}

static bool accept(struct cursor *c, char expected)
{
    if (c->at == c->end || *c->at != expected) {
        return false;
    }
    c->at++;
    return true;
}

static bool read_date(struct cursor *c, struct tm *t)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year;
    int month;
    int day;
    if (!read_digits(c, 4, &year) || !accept(c, '-') || !read_digits(c, 2, &month) ||
        !accept(c, '-') || !read_digits(c, 2, &day) || month < 1 || month > 12) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > month_days[month - 1] + (month == 2 && leap)) {
        return false;
    }
    t->tm_year = year - 1900;
    t->tm_mon = month - 1;
    t->tm_mday = day;
    return year >= 1970 && year <= 2554 - 1;
}

static bool read_fraction(struct cursor *c, uint64_t *out_ns)
{
    uint64_t scale = NS_PER_S / 10;
    const char *start = c->at;
    *out_ns = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        *out_ns += (uint64_t)(*c->at++ - '0') * scale;
        scale /= 10;
    }
    return c->at > start;
}

static bool read_clock_time(struct cursor *c, struct tm *t, uint64_t *out_ns)
{
    *out_ns = 0;
    if (!read_digits(c, 2, &t->tm_hour) || !accept(c, ':') || !read_digits(c, 2, &t->tm_min) ||
        t->tm_hour > 23 || t->tm_min > 59) {
        return false;
    }
    if (!accept(c, ':')) {
        return true;
    }
    if (!read_digits(c, 2, &t->tm_sec) || t->tm_sec > 59) {
        return false;
    }
    return accept(c, '.') || accept(c, ',') ? read_fraction(c, out_ns) : true;
}

static bool read_zone(struct cursor *c, int64_t *out_offset_s, enum time_zone_kind *out_kind)
{
    *out_offset_s = 0;
    *out_kind = TIME_ZONED;
    if (c->at == c->end) {
        *out_kind = TIME_NAIVE;
        return true;
    }
    if (accept(c, 'Z') || accept(c, 'z')) {
        return true;
    }
    int sign = accept(c, '+') ? 1 : (accept(c, '-') ? -1 : 0);
    int hours;
    int minutes;
    if (sign == 0 || !read_digits(c, 2, &hours)) {
        return false;
    }
    (void)accept(c, ':');
    if (!read_digits(c, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *out_offset_s = sign * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

static char *put_digits(char *at, unsigned value, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

struct date {
    unsigned year;
    unsigned month;
    unsigned day;
};

/* Days since 1970 to a date. Years start in March here, so that the leap day comes last, and the
 * lengths of the months follow one linear rule: (153 * month + 2) / 5 days before each. */
static struct date date_of(uint64_t days)
{
    enum { DAYS_TO_1970 = 719468, DAYS_IN_400_YEARS = 146097 }; /* from 0000-03-01 */
    uint64_t since = days + DAYS_TO_1970;
    unsigned era = (unsigned)(since / DAYS_IN_400_YEARS);
    unsigned day = (unsigned)(since % DAYS_IN_400_YEARS);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    unsigned month = (5 * day + 2) / 153;
    struct date d = {era * 400 + year, month + 3, day - (153 * month + 2) / 5 + 1};
    if (d.month > 12) {
        d.month -= 12;
        d.year++;
    }
    return d;
}

void marline__time_format(uint64_t unix_ns, char out[TIME_TEXT_SIZE])
{
    enum { SECONDS_IN_DAY = 86400 };
    uint64_t seconds = unix_ns / NS_PER_S;
    unsigned micros = (unsigned)(unix_ns % NS_PER_S / 1000);
    unsigned second = (unsigned)(seconds % SECONDS_IN_DAY);
    struct date date = date_of(seconds / SECONDS_IN_DAY);
    char *at = put_digits(out, date.year, 4);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    if (micros > 0) {
        *at++ = '.';
        at = put_digits(at, micros, 6);
    }
    *at++ = 'Z';
    *at = '\0';
}

bool marline__time_parse(struct slice text, uint64_t *out_unix_ns, enum time_zone_kind *out_kind)
{
    struct cursor c = {text.data, text.data + text.size};
    struct tm t = {0};
    uint64_t fraction_ns;
    int64_t offset_s;
    enum time_zone_kind kind;
    if (!read_date(&c, &t) || !(accept(&c, 'T') || accept(&c, 't') || accept(&c, ' ')) ||
        !read_clock_time(&c, &t, &fraction_ns) || !read_zone(&c, &offset_s, &kind) ||
        c.at != c.end) {
        return false;
    }
    int64_t seconds = (int64_t)timegm(&t) - offset_s;
    if (seconds < 0) {
        return false;
    }
    *out_unix_ns = (uint64_t)seconds * NS_PER_S + fraction_ns;
    *out_kind = kind;
    return true;
}
