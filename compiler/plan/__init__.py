"""How layers are cut: blocks of their maps, tile passes over them, turns of several layers."""
