"""The configuration of a router or a device: one TOML file, checked with line, key and reason.

====================  ==============================================================================
`kinds`               what values can be, and how each is read
`tables`              tables of keys
`keys`                all keys there are, declared once
`model`               what a file says, as data
`positions`           on which line what stands
`checks`              what contradicts what, and what is odd
`reader`              text to `Configuration`, or everything that is wrong with it
`keeper`              files that change while a program runs, and the last good one
`policies`            policies from elsewhere
====================  ==============================================================================
"""
