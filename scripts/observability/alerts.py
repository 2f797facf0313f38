SETTINGS = {}
def check(stack): return False
