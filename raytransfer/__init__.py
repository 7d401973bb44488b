"""How long should an encoder be pretrained, and which checkpoint should be transferred?"""
