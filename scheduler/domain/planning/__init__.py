"""In what order, and is production safe after every single step?"""
