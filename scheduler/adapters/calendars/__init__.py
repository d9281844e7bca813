"""The calendar as other programs have it: a wiki page, a calendar feed. Text in, text out."""
